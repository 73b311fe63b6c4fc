"""A picture of a ranking, 1200 x 630 pixels, fit for a post.

The browser draws it from the ranking on the page, so it has the fonts for every script that the page shows.
"""

PICTURE = """
() => {
  const shown = document.querySelector('#meaning-out [data-sentence]');
  if (!shown) return;
  const canvas = Object.assign(document.createElement('canvas'), {width: 1200, height: 630});
  const draw = canvas.getContext('2d');
  const lines = (text, width, most) => {
    const parts = text.match(/\\S+\\s*|\\s+/g) || [''], found = [''];
    for (const part of parts.flatMap(one => draw.measureText(one).width > width ? [...one] : [one])) {
      if (draw.measureText((found.at(-1) + part).trimEnd()).width > width && found.at(-1)) found.push('');
      found[found.length - 1] += part;
    }
    if (found.length > most) {
      found.length = most;
      while (draw.measureText(found[most - 1] + '…').width > width) found[most - 1] = found[most - 1].slice(0, -1);
      found[most - 1] = found[most - 1].trimEnd() + '…';
    }
    return found;
  };
  const write = (text, size, colour, x, y, {width = 1080, most = 1, weight = 400} = {}) => {
    draw.font = `${weight} ${size}px system-ui, sans-serif`;
    draw.fillStyle = colour;
    const found = lines(text, width, most);
    found.forEach((line, number) => draw.fillText(line, x, y + number * size * 1.25));
    return y + found.length * size * 1.25;
  };
  draw.textBaseline = 'top';
  draw.fillStyle = '#ffffff';
  draw.fillRect(0, 0, 1200, 630);
  draw.fillStyle = '#0f766e';
  draw.fillRect(0, 0, 1200, 12);
  write('Which one means the same?', 28, '#475569', 60, 48);
  let y = write(shown.dataset.sentence, 44, '#0f172a', 60, 92, {most: 2, weight: 650}) + 26;
  const cards = [...document.querySelectorAll('#meaning-out .sp-card')];
  const height = (556 - y) / cards.length;
  for (const card of cards) {
    const colour = card.classList.contains('base') ? '#64748b' : '#0f766e';
    const [first, second] = card.querySelectorAll('li');
    const right = first.querySelector('.sp-right'), wrong = first.querySelector('.sp-wrong');
    draw.fillStyle = colour;
    draw.fillRect(60, y + 4, 5, height - 22);
    const name = card.querySelector('.sp-name').firstChild.textContent;
    write(name, 24, colour, 84, y + 6, {width: 250, most: 2, weight: 650});
    const below = write(first.firstChild.textContent, 28, '#0f172a', 350, y + 2, {width: 690, most: 2});
    const ahead = second.querySelectorAll('.sp-meta span')[1].textContent.replace(' behind', '');
    const unit = card.querySelector('small').textContent.split(', ').at(-1).trim();
    write(`${ahead} nearer than the next (${unit})`, 20, '#475569', 350, below + 2);
    if (right || wrong) {
      write(right ? '✓' : '✗', 52, right ? '#0f766e' : '#b91c1c', 1072, y, {weight: 700});
    }
    y += height;
  }
  write(shown.dataset.about, 20, '#475569', 60, 582);
  canvas.toBlob(blob => {
    const link = Object.assign(document.createElement('a'), {href: URL.createObjectURL(blob), download: 'sempa.png'});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
}
"""
"""Draws the ranking of the Meaning tab on a canvas and downloads it; a no-op without one."""
