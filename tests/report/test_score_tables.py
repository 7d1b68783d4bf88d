"""The scores of single labels: all metrics, and of many labels the worst first."""

from __future__ import annotations

from auxfold.report.score_tables import label_scores, score_rows
from auxfold.tasks import TaskSet
from conftest import make_experiment


def make_tasks(n_labels: int) -> TaskSet:
    columns = [f"l{number:02d}" for number in range(n_labels)]
    tasks = [{"name": "main", "kind": "binary", "columns": columns, "main": True}]
    return TaskSet.from_experiment(make_experiment("train.csv", "b", tasks=tasks))


def make_record(n_labels: int) -> dict:
    oof = {"main/auc": 0.7, "main/log_loss": 0.2, "main/brier": 0.1}
    for number in range(n_labels):
        oof[f"main/auc/l{number:02d}"] = 0.9 - number / 100
        oof[f"main/log_loss/l{number:02d}"] = 0.3
    oof["main/auc/l02"] = None
    return {"main": "main/auc", "oof": oof, "mean": oof, "std": dict.fromkeys(oof), "folds": [oof]}


def test_few_labels_are_all_shown():
    (scores,) = label_scores(make_tasks(3), make_record(3))
    assert scores.header == ["label", "auc", "log_loss"] and scores.lowest == []
    assert scores.rows == [
        ["l00", "0.9000", "0.3000"], ["l01", "0.8900", "0.3000"], ["l02", "–", "0.3000"]
    ]  # fmt: skip


def test_of_many_labels_the_worst_come_first():
    (scores,) = label_scores(make_tasks(28), make_record(28))
    assert len(scores.rows) == 28 and len(scores.lowest) == 10
    assert [row[0] for row in scores.lowest[:2]] == ["l27", "l26"]


def test_a_task_of_one_label_has_no_table_of_labels():
    record = make_record(1)
    record["oof"] = {name: v for name, v in record["oof"].items() if name.count("/") == 1}
    assert label_scores(make_tasks(1), record) == []


def test_headline_metrics_are_shown_first():
    header, rows = score_rows(make_tasks(2), make_record(2))
    assert header == ["metric", "OOF", "mean ± std", "fold 0"]
    assert {row.cells[0]: row.is_headline for row in rows} == {
        "main/auc": True, "main/log_loss": True, "main/brier": False
    }  # fmt: skip
    assert rows[0].cells == ["main/auc", "0.7000", "0.7000", "0.7000"] and rows[0].task == "main"
