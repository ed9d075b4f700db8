//! Go's templates, as far as readers of `--format` use them.
