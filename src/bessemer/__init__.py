"""bessemer: raw text in, trained and understood language model out."""
