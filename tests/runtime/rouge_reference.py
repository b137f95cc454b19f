"""Record what `rouge-score` and NLTK's stemmer say: `pip install rouge-score==0.1.2`, then run this file.

The record is compared with our own metric in test_metrics_rouge.py; so the tests need neither package.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

RECORD = Path(__file__).with_name("rouge_reference.json")
BASES = """
agree animate argue bake bless book call carry choose clean close cool cry deliver depend die digit
direct drop electric enjoy exceed fall file final find fizz fly form general generous happy hope hop
inform lie locate logic make mat move nation note operate order pay plan plaster possible predict
price probable radical rate relate repair report reserve retrieve revive roll run schedule select
sensible sing size sky stop study tan text tie trouble tutor use visit vital weather write yield
""".split()  # noqa: SIM905
ENDINGS = """
s es ed ing er ly ness ful fully al ally ation ational ator ism ive iveness ize izer ization ous
ousness ousli ance ence able ible ably ability bility ment ement ent ion ions ated ating eed ied ies
iciti icate ical icity logy logi
""".split()  # noqa: SIM905


def words() -> list[str]:
    """Return real and made-up words that try every rule of the stemmer."""
    made = {base + ending for base in BASES for ending in ENDINGS}
    cut = {base[:-1] + ending for base in BASES for ending in ENDINGS if base[-1] in "ey"}
    irregular = {"news", "innings", "outings", "cannings", "howe", "dying", "lying", "tying", "skies"}
    return sorted(random.Random(1).sample(sorted(made | cut), 1200) + BASES + sorted(irregular))


def pairs() -> list[tuple[str, str]]:
    """Return pairs of texts of a few steps, some alike, with capitals, digits and signs."""
    draw, known = random.Random(2), words()
    made = []
    for _ in range(200):
        first = [draw.choice(known) for _ in range(draw.randint(0, 25))]
        second = [w for w in first if draw.random() < 0.7] + draw.choices(known, k=draw.randint(0, 6))
        if draw.random() < 0.3:
            draw.shuffle(second)
        made.append((_text(first, draw), _text(second, draw)))
    return made


def _text(chosen: list[str], draw: random.Random) -> str:
    marks = [" ", " ", " ", "\n", ", ", "_", "-", ". Step 2: ", "'s "]
    return "".join(
        w.capitalize() + draw.choice(marks) if draw.random() < 0.2 else w + draw.choice(marks) for w in chosen
    )


def main() -> None:
    """Write the record."""
    from nltk.stem.porter import PorterStemmer
    from rouge_score.rouge_scorer import RougeScorer

    stemmer = PorterStemmer()
    scorers = {stem: RougeScorer(["rougeL"], use_stemmer=stem) for stem in (True, False)}
    record = {
        "stems": {word: stemmer.stem(word) for word in words()},
        "pairs": [
            {
                "output": a,
                "gold": b,
                **{("stemmed" if s else "plain"): scorers[s].score(b, a)["rougeL"].fmeasure for s in scorers},
            }
            for a, b in pairs()
        ],
    }
    RECORD.write_text(json.dumps(record, indent=0) + "\n", "utf-8")


if __name__ == "__main__":
    main()
