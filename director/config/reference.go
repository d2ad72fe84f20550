package config

import (
	_ "embed"
	"slices"
)

//go:embed reference.toml
var reference []byte

// Reference returns a commented file that shows every key with its default,
// for `ipvsd config reference`. It is valid itself.
func Reference() []byte { return slices.Clone(reference) }
