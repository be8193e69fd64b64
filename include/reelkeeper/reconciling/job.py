"""Reconciliation: the catalogue and each store agree, or it is told what does not.

reconcile_store (look, conclude, report) → (a person approves, above the soft cap) → quarantine_orphans, and
plan_repairs for a migration's transfer_batch. Or bring_back, alone, of what lies in quarantine. Each step is a task of
its own, and may be run again at any time: one run sees an orphan once. Of a store that is doubted itself nothing is
concluded.
"""

from reelkeeper.reconciling.comparing import Reconciled, reconcile_store
from reelkeeper.reconciling.quarantining import Quarantined, quarantine_orphans
from reelkeeper.reconciling.repairing import plan_repairs
from reelkeeper.reconciling.returning import BroughtBack, bring_back

__all__ = [
    "BroughtBack",
    "Quarantined",
    "Reconciled",
    "bring_back",
    "plan_repairs",
    "quarantine_orphans",
    "reconcile_store",
]
