"""The language models of molecules: tokenizer, training, distillation, evaluation."""
