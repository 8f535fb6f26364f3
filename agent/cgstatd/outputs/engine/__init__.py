"""The Engine API's answers, as its clients parse them: pure encoders, and the filters that clients send."""
