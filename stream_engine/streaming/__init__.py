"""Kafka and Faust: the only package that knows them."""
