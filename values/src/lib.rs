//! Values, keys and equality of Perper.
