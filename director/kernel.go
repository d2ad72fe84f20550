package director

import (
	"context"

	"github.com/ipvsd/ipvsd/director/table"
)

// Kernel is the part of the kernel that holds the table. All methods may be
// called from several goroutines; reads don't wait for a long programming.
//
// director/ipvs has the real one, director/kerneltest one in memory, and both
// pass kerneltest.Contract.
type Kernel interface {
	// Read returns the named virtual services with their real servers and
	// counters, or the whole table when none is named. A named service that
	// isn't there is absent from the answer, which is no error.
	Read(ctx context.Context, only ...table.ServiceKey) (table.Have, error)

	// ReadState returns the whole table without counters, which is cheaper. The
	// answer shares memory with later ones and must not be changed.
	ReadState(ctx context.Context) (table.State, error)

	// Do carries out all steps in order. A failed step doesn't stop the others;
	// the answer has one error, or nil, for each.
	Do(ctx context.Context, steps []table.Step) []error
}
