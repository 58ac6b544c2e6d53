"""What tests share: records and chunks made by hand, real workers as processes, traffic, scenarios."""
