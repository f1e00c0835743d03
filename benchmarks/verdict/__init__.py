"""Whether verdicts are right: audits of subjects whose truth is known."""
