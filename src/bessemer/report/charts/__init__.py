"""Pictures as inline SVG, drawn from plain numbers; colours are classes, so themes are CSS's."""
