import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.compiler.cost_models import Calls, amount, paper_amount, paper_samples
from agenttts.compiler.errors import CostError
from agenttts.spec.model import ModelSpec

SAMPLES = (1, 5, 10, 45, 90)
LENGTHS = ((2048, 128), (256, 64), (1024, 64), (1024, 256), (1024, 2048), (1024, 1024), (1024, 512))

# The paper's Tables 5-9: columns as in LENGTHS, each at S = 1/5/10/45/90.
TABLE = """
72e9 814/1006/1246/2926/5086 118/214/334/1174/2254 406/502/622/1462/2542 478/862/1342/4702/9022 \
1150/4222/8062/34942/69502 766/2302/4222/17662/34942 574/1342/2302/9022/17662
70e9 791/978/1211/2845/4945 115/208/325/1141/2191 395/488/605/1421/2471 465/838/1305/4571/8771 \
1118/4105/7838/33971/67571 745/2238/4105/17171/33971 558/1305/2238/8771/17171
32e9 361/446/553/1299/2259 51/94/147/521/1001 179/222/275/649/1129 211/382/595/2089/4009 \
510/1875/3582/15529/30889 339/1022/1875/7849/15529 254/595/1022/4009/7849
8e9 89/110/137/323/563 11/22/35/129/249 43/54/67/161/281 51/94/147/521/1001 \
126/467/894/3881/7721 83/254/467/1961/3881 62/147/254/1001/1961
7e9 77/96/119/283/493 10/19/31/112/217 38/47/59/140/245 45/82/129/455/875 \
110/409/782/3395/6755 73/222/409/1715/3395 54/129/222/875/1715
3e9 32/40/50/120/210 3/7/12/47/92 15/19/24/59/104 18/34/54/194/374 \
46/174/334/1454/2894 30/94/174/734/1454 22/54/94/374/734
"""
ROWS = [
    (float(parameters), lengths, samples, int(value))
    for parameters, *columns in (line.split() for line in TABLE.strip().splitlines())
    for lengths, column in zip(LENGTHS, columns, strict=True)
    for samples, value in zip(SAMPLES, column.split("/"), strict=True)
]


def test_the_papers_tables_are_reproduced() -> None:
    assert len(ROWS) == 6 * 7 * 5
    # abs <= 0.5: the tables round halves either way
    wrong = [row for row in ROWS if abs(paper_amount(row[0], row[2], *row[1]) - row[3]) > 0.5 + 1e-9]
    assert wrong == []


def test_the_inverse_of_every_table_entry_is_its_samples() -> None:
    amounts = ((p, s, lengths, paper_amount(p, s, *lengths)) for p, lengths, s, _ in ROWS)
    assert [s for p, s, lengths, b in amounts if paper_samples(p, b, *lengths) != s] == []


@pytest.mark.parametrize(
    ("parameters", "samples", "prompt", "output", "expected"),
    [
        (3e9, 1, 128, 64, 1),
        (72e9, 1, 2048, 128, 814),
        (70e9, 1, 256, 64, 114.67),
        (32e9, 7, 2048, 128, 488.67),
    ],
)
def test_known_budgets(parameters: float, samples: int, prompt: int, output: int, expected: float) -> None:
    assert paper_amount(parameters, samples, prompt, output) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(
    ("retrieval", "answers", "expected"),
    [((72e9, 1), (3e9, 15), 831), ((32e9, 5), (3e9, 20), 468), ((72e9, 1), (3e9, 50), 866)],
)
def test_case_study_costs(retrieval: tuple[float, int], answers: tuple[float, int], expected: int) -> None:
    total = paper_amount(*retrieval, 2048, 128) + paper_amount(*answers, 256, 64)
    assert round(total) == expected


@given(st.floats(1e6, 1e12), st.integers(1, 5000), st.integers(1, 100_000), st.integers(1, 10_000))
def test_the_inverse_undoes_the_formula(parameters: float, samples: int, prompt: int, output: int) -> None:
    spent = paper_amount(parameters, samples, prompt, output)
    # below a millionth of the offset the unit itself holds no digits for a sample
    if parameters / 3e9 * output / 64 > 1e-5:
        assert paper_samples(parameters, spent, prompt, output) == samples


def test_flops_are_equation_8_with_attention() -> None:
    model = ModelSpec("m", "api", "m", parameters=10, layers=2, hidden=3)
    once, each = 2 * 10 * 5 + 2 * 2 * 3 * 5**2, 2 * 10 * 7 + 2 * 2 * 3 * (2 * 5 * 7 + 7**2)
    assert amount("flops", model, Calls(5, 7, 4)) == once + 4 * each


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("gpu_seconds", "/budget/unit: 'gpu_seconds' cannot be planned yet. Use one of: paper, flops, usd."),
        ("flops", "model 'm': no layers and no hidden, needed for costs in 'flops'."),
        ("usd", "model 'm': no price"),
    ],
)
def test_a_missing_number_says_what_to_add(unit: str, words: str) -> None:
    with pytest.raises(CostError) as error:
        amount(unit, ModelSpec("m", "api", "m", parameters=1e9), Calls(1, 1, 1))  # type: ignore[arg-type]
    assert words in str(error.value)
