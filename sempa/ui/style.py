"""The page's style on top of Gradio's theme: light and dark, desktop and phone."""

CSS = """
.gradio-container {max-width: none !important}
.main.fillable {max-width: 1080px !important; width: 100% !important; margin: 0 auto !important}
:root {--sp-base: #64748b; --sp-sempa: #0f766e; --sp-base-soft: #64748b22; --sp-sempa-soft: #0f766e22}
.dark {--sp-base: #a9b6c8; --sp-sempa: #3fd0bd; --sp-base-soft: #a9b6c81f; --sp-sempa-soft: #3fd0bd1f}
.sp-head h1 {font-size: 1.55rem; font-weight: 700; margin: .2rem 0 .15rem; letter-spacing: -.01em}
.sp-head p {margin: 0 0 .5rem; color: var(--body-text-color-subdued)}
.sp-chips {display: flex; flex-wrap: wrap; gap: .35rem; margin-bottom: .3rem}
.sp-chip {font-size: .78rem; padding: .12rem .55rem; border-radius: 999px; overflow-wrap: anywhere;
  border: 1px solid var(--border-color-primary); color: var(--body-text-color)}
.sp-grid {display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); gap: .8rem}
.sp-card {border-style: solid; border-width: 3px 1px 1px; border-radius: 10px;
  border-color: var(--sp-c) var(--border-color-primary) var(--border-color-primary);
  padding: .75rem .9rem .85rem; background: var(--block-background-fill); min-width: 0}
.sp-card.base {--sp-c: var(--sp-base); --sp-soft: var(--sp-base-soft)}
.sp-card.sempa {--sp-c: var(--sp-sempa); --sp-soft: var(--sp-sempa-soft)}
.sp-name {font-weight: 650; color: var(--sp-c)}
.sp-name small, .sp-note {font-weight: 400; color: var(--body-text-color-subdued); font-size: .82rem}
.sp-figure {font-size: 2.1rem; font-weight: 650; font-variant-numeric: tabular-nums; line-height: 1.2}
.sp-list {list-style: none; margin: .5rem 0 0; padding: 0}
.sp-list li {padding: .5rem 0; border-top: 1px solid var(--border-color-primary); overflow-wrap: anywhere}
.sp-list .sp-meta {display: flex; flex-wrap: wrap; gap: .2rem .7rem; font-size: .8rem; margin-top: .1rem;
  color: var(--body-text-color-subdued); font-variant-numeric: tabular-nums}
.sp-send.sp-send, .sp-copy.sp-copy {font: inherit; border: 1px solid var(--border-color-primary);
  border-radius: 6px; padding: 0 .45rem; cursor: pointer; background: transparent; color: var(--body-text-color)}
.sp-send:hover, .sp-send:focus-visible, .sp-copy:hover, .sp-copy:focus-visible {
  border-color: var(--sp-c); color: var(--sp-c)}
#meaning-tally {min-height: 5.4rem}
#meaning-plot, #similarity-plot {min-height: 302px}
@media (max-width: 640px) {#meaning-tally {min-height: 9.5rem}}
@media (max-width: 640px) {.tab-container.tab-container.tab-container button {
  font-size: .68rem !important; padding: 0 2px !important}}
.sp-finding {font-size: 1.05rem; margin: .3rem 0 .7rem}
.sp-right {color: #0f766e; font-weight: 650} .sp-wrong {color: #b91c1c; font-weight: 650}
.dark .sp-right {color: #3fd0bd} .dark .sp-wrong {color: #fca5a5}
.sp-table.sp-gallery :is(th, td):nth-child(n+3) {text-align: center}
.sp-table.sp-gallery :is(th, td):nth-child(2) {text-align: left}
.sp-new.sp-new {background: none; color: inherit; text-decoration: underline 2px var(--sp-c);
  text-underline-offset: 3px}
.sp-cut {color: var(--body-text-color-subdued); font-size: .82rem; white-space: nowrap; padding: 0 .4rem;
  border: 1px dashed currentColor; border-radius: 6px}
.sp-parts {display: flex; flex-wrap: wrap; gap: .2rem .35rem; font-size: .78rem; margin-top: .3rem;
  align-items: baseline; color: var(--body-text-color-subdued)}
.sp-part {padding: 0 .4rem; border-radius: 6px; background: var(--sp-soft); color: var(--body-text-color);
  overflow-wrap: anywhere} .sp-part b {font-weight: 600; color: var(--sp-c); font-variant-numeric: tabular-nums}
.sp-text {white-space: pre-wrap; overflow-wrap: anywhere; margin: .45rem 0 0}
.sp-table {width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem}
.sp-table.sp-table, .sp-table.sp-table tr {border: 0}
.sp-table.sp-table th, .sp-table.sp-table td {padding: .3rem .5rem; text-align: right; border: 0;
  border-bottom: 1px solid var(--border-color-primary)}
.sp-table.sp-table th:first-child, .sp-table.sp-table td:first-child, .sp-table.sp-facts td {text-align: left}
@media (max-width: 640px) {.sp-table {font-size: .74rem}
  .sp-table.sp-table :is(th, td) {padding: .25rem .2rem}
  .sp-table:has(th:nth-child(6)) {font-size: .7rem}
  .sp-table.sp-table:has(th:nth-child(6)) :is(th, td) {padding: .25rem .1rem}}
.sp-facts td:first-child {white-space: nowrap; vertical-align: top}
.sp-table caption {text-align: left; padding: .3rem 0; color: var(--body-text-color-subdued); font-size: .85rem}
.sp-result {border-top: 1px solid var(--border-color-primary); padding: .15rem 0}
.sp-result summary {cursor: pointer; padding: .45rem 0; color: var(--body-text-color-subdued); font-size: .92rem}
.sp-result summary b {color: var(--body-text-color); font-weight: 650; margin-right: .35rem}
.sp-scroll {overflow-x: auto; margin-bottom: 1rem}
.sp-say {padding: .7rem .9rem; border-radius: 10px; border: 1px dashed var(--border-color-primary);
  color: var(--body-text-color-subdued)}
.sp-bar {width: 100%; height: .5rem; accent-color: var(--sp-sempa); margin: .4rem 0 0}
.sp-refusal {border: 1px solid #b91c1c; color: #b91c1c} .dark .sp-refusal {border-color: #fca5a5; color: #fca5a5}
.sp-stale > :not(.sp-say) {opacity: .65; filter: grayscale(1)} .sp-stale > .sp-say {margin-bottom: .6rem}
.sp-tokens {display: flex; flex-wrap: wrap; gap: .35rem; margin: .55rem 0 .2rem}
.sp-token {padding: .1rem .5rem; border-radius: 6px; border: 1px solid var(--border-color-primary);
  white-space: pre-wrap; overflow-wrap: anywhere}
.sp-token.exact {background: #0f766e2e; border-color: #0f766e}
.sp-token.stem {background: #b4530926; border-color: #b45309}
.dark .sp-token.exact {border-color: #3fd0bd} .dark .sp-token.stem {border-color: #f0a35e}
.sp-numbered {list-style: decimal; margin: .5rem 0 .5rem 1.4rem; font-size: .9rem}
.js-plotly-plot :is(.xtick, .ytick, .y2tick, .cbaxis, .legendtoggle + text, .legend) text,
.js-plotly-plot text:is(.bartext-outside, .legendtext, .xtitle,
  .ytitle, .x2title, .y2title, .y3title, .y4title, .y5title) {
  fill: var(--body-text-color) !important}
#search-slope .modebar {display: none}
@media (max-width: 640px) {#search-slope {display: none !important}}
.modebar-btn path {fill: var(--body-text-color-subdued) !important}
.sp-words {font-size: .78rem; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 14rem; overflow-y: auto;
  margin: .6rem 0 0; color: var(--body-text-color-subdued)}
.sp-long {max-height: 24rem; overflow-y: auto}
.sp-table.sp-texts td:first-child {overflow-wrap: anywhere; min-width: 10rem}
.sp-table.sp-pair td, .sp-table.sp-pair th {text-align: left; vertical-align: top; white-space: pre-wrap;
  overflow-wrap: anywhere; min-width: 9rem}
.sp-table.sp-pair td:first-child, .sp-table.sp-pair th:first-child {min-width: 1.6rem}
:is(input, textarea, button, summary, [tabindex]):focus-visible {outline: 2px solid var(--sp-sempa) !important;
  outline-offset: 1px}
.prose h2 {font-size: 1.1rem !important; margin: .4rem 0 !important}
.html-container {padding: 0 !important}
.label-wrap {gap: .6rem; text-align: left} .label-wrap .icon {align-self: center}
.main.fillable {padding: 14px clamp(10px, 3vw, 32px) !important}
.tab-container button.selected {color: var(--sp-sempa) !important}
.tab-container button {padding: 0 clamp(.35rem, 1.6vw, 1rem) !important}
"""

HEAD = """
<style>
html:not(.sp-drawn) .gradio-container :is(main, footer) {visibility: hidden}
@media (max-width: 640px) {footer .divider {display: none !important}}
</style>
<script>
(() => {
  const show = () => document.documentElement.classList.add('sp-drawn');
  let last = setTimeout(show, 10000);
  const drawn = new ResizeObserver(() => {
    if (!document.querySelector('#meaning-out .sp-card')) return;
    clearTimeout(last);
    last = setTimeout(() => { drawn.disconnect(); show(); }, 250);
  });
  drawn.observe(document.body);
})();
document.addEventListener('click', async event => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  try { await navigator.clipboard.writeText(button.dataset.copy); button.textContent = 'Copied'; }
  catch { button.textContent = 'Not allowed'; }
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
});
</script>
"""
"""Shows the page once its height is stable, or after ten seconds, so that nothing moves under the pointer. The other
rules are those that Gradio applies too late or does not apply to the footer, where phones hide one link but not the dot
before it. Buttons with `data-copy` copy that text.
"""
