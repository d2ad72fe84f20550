package kerneltest_test

import (
	"testing"

	"github.com/ipvsd/ipvsd/director/kerneltest"
)

func TestContract(t *testing.T) {
	kerneltest.Contract(t, func(*testing.T) kerneltest.Subject { return kerneltest.New() })
}

func TestContractWithoutTwos(t *testing.T) {
	kerneltest.Contract(t, func(*testing.T) kerneltest.Subject {
		k := kerneltest.New()
		k.Unload("twos")
		return k
	})
}
