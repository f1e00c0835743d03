"""What is measured of verifiers beside the success of attacks."""
