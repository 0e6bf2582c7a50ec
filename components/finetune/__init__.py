"""Step `finetune`."""
