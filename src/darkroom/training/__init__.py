"""What training defences of every kind share."""
