"""A finished set of predictions in, what an auditor asks of it out: frozen types, never a verdict.

``fairness``, ``calibration`` and ``leakage`` read predictions and labels, of a run or of anyone's
system; ``perturbation`` predicts again from changed media and so needs a run. Each has one function
that returns one of the audits of ``findings``; `save` puts it beside the evaluation, where
``report`` finds it.
"""

from traitscope.audit.findings import read_audits, save
from traitscope.audit.scored import Scored, scored_run, scored_table

__all__ = ["Scored", "read_audits", "save", "scored_run", "scored_table"]
