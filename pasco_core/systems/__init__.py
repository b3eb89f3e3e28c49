"""One folder per perception system; each predictor returns a ScenePrediction."""
