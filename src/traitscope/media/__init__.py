"""Files -> arrays with times; knows nothing of faces."""
