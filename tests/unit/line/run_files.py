"""What run files of these tests have in common: nothing here is trained."""

TRAINING = """
[model]
size = "12m"

[train]
seq_len = 64
global_batch_tokens = 640
total_tokens = 6400
"""
PAGES = f"""
[run]
name = "r"
root = "r"

[[source]]
name = "web"
kind = "web"
path = "x.jsonl"
{TRAINING}"""
