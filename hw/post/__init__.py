"""POST: drains tiles, requantizes, adds residuals."""
