"""How ``feedbackward fit`` learns: measure, search, descend."""
