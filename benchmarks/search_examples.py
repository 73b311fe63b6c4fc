"""Choose the Search tab's examples: of these queries, the five whose five nearest demo texts the models share least.

Each query has a topic of the demo corpus, so that the result also says which model finds that topic.
"""

import argparse
from pathlib import Path

from sempa.embedding.encoder import Encoder
from sempa.embedding.index import INDEX_ROOT
from sempa.evaluation.results import write_result
from sempa.machine import environment
from sempa.models.adapters import DEFAULT_ADAPTER
from sempa.service.index_store import IndexStore
from sempa.service.studio import Studio

K, CHOSEN = 5, 5
QUERIES = {
    "Wind and rain are on the way.": "weather",
    "It will be cold and icy tonight.": "weather",
    "Why does my code crash only on Fridays?": "software",
    "The new version broke everything.": "software",
    "The goalkeeper saved the match.": "football",
    "They lost because nobody could score.": "football",
    "The trip was cancelled and I want my money back.": "travel",
    "My suitcase never arrived.": "travel",
    "Nobody in the audience made a sound.": "theatre",
    "The actor forgot his lines.": "theatre",
    "My loan was refused.": "banking",
    "Somebody used my card without asking me.": "banking",
    "How long may bread dough rest?": "cooking",
    "The soup tastes of nothing.": "cooking",
    "She gave up her queen to win.": "chess",
    "The judge did not believe the witness.": "law",
    "Can my landlord throw me out?": "law",
    "The pills made me feel worse.": "medicine",
    "The baby will not sleep through the night.": "parenting",
    "My boss answers no messages.": "work-life",
    "Our train was an hour late.": "railways",
    "The dog is afraid of thunder.": "pets",
    "Something is eating my lettuce.": "gardening",
    "How old is the light of a star?": "astronomy",
    "The chain came off on the climb.": "cycling",
    "The choir sang out of tune.": "music",
    "The panels make more power than we use.": "energy",
    "The castle burned down in the war.": "history",
    "The pupils did not do their homework.": "school",
    "Whales talk to each other over great distances.": "oceans",
}


def measured(studio: Studio, query: str, topic: str) -> dict[str, object]:
    """Return a query's shared hits (0..1) and, for each model, the share of hits of its topic."""
    found = studio.search(query, k=K)
    ids = [{ranked.hit.id for ranked in hits} for hits in found.values()]
    right = {name: sum(ranked.hit.tags["topic"] == topic for ranked in hits) / K for name, hits in found.items()}
    return {"query": query, "topic": topic, "shared": len(ids[0] & ids[1]) / K, "of_topic": right}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--adapter", default=DEFAULT_ADAPTER)
    parser.add_argument("--result", type=Path, default=Path("results/search-examples.json"))
    given = parser.parse_args()
    studio = Studio(Encoder.default(adapter=given.adapter), IndexStore(INDEX_ROOT))
    rows = [measured(studio, query, topic) for query, topic in QUERIES.items()]
    rows.sort(key=lambda row: row["shared"])
    mean = {name: sum(row["of_topic"][name] for row in rows) / len(rows) for name in rows[0]["of_topic"]}
    payload = {"kind": "search-examples", "adapter": given.adapter, "k": K, "chosen": CHOSEN, "of_topic": mean}
    write_result({**payload, "rows": rows, **environment()}, given.result)
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
