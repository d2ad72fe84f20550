package ipvs

import (
	"testing"

	"github.com/ipvsd/ipvsd/test/lab"
)

// All tests of this package run in the lab's kernel: see package lab.
func TestMain(m *testing.M) { lab.Main(m) }
