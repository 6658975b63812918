import pandas as pd

from workflow.reference import markdown


def test_a_value_and_its_interval_share_a_cell_with_decimals_of_their_own():
    table = pd.DataFrame(
        {
            "method": ["dimofs", "copy", "read_out", "none", "chance"],
            "paper_ap": [66.3, None, 0.4, None, None],
            "ap": [59.51, -53.27, 0.104, 0.0, 0.8],
            "ci_low": [50.14, -61.9, 0.096, 0.0, None],
            "ci_high": [67.8, -43.2, 0.112, 0.0, None],
            "n_frames": [864.0, 864.0, None, None, None],
            "parameters": [1238480, 20, 3, 4, 5],
            "seconds": [0.056, 1.9, 0.2, 0.3, 0.4],
            "sd": [None] * 5,
        }
    )
    assert markdown(table).splitlines() == [
        "| method | paper ap | ap | n frames | parameters | seconds |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| dimofs | 66.3 | 59.5 [50.1, 67.8] | 864 | 1238480 | 0.06 |",
        "| copy |  | −53.3 [−61.9, −43.2] | 864 | 20 | 1.90 |",
        "| read_out | 0.4 | 0.10 [0.10, 0.11] |  | 3 | 0.20 |",
        "| none |  | 0.0 [0.0, 0.0] |  | 4 | 0.30 |",
        "| chance |  | 0.8 |  | 5 | 0.40 |",
    ]
