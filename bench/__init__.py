"""The budgets of the design, measured: ``make bench``, or ``python -m bench NAME...`` for some of them.

Figures are ratios inside one run wherever there is something to compare with; nothing here is asserted.
"""
