"""The sections of a report: each module turns a judged run into the blocks of one."""
