"""From the ledger to a report: tables, contrasts, verdicts, figures."""
