"""What all audits of pictures share: photos, what is known of faces beforehand, and judges."""
