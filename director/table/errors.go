package table

import "errors"

// The errors that a kernel (the real one or the one in memory) answers a step
// or a read with. They come wrapped in what was being done and to what.
var (
	// ErrExist: the service, or the real server in its service, is there
	// already. The plan was made on an old table; read again.
	ErrExist = errors.New("exists already")
	// ErrNoService: the virtual service that the step edits, deletes or adds
	// a real server to isn't there.
	ErrNoService = errors.New("no such virtual service")
	// ErrNoReal: the real server that the step edits or deletes isn't in its
	// service.
	ErrNoReal = errors.New("no such real server")
	// ErrScheduler: the kernel knows neither the scheduler nor a module for
	// it; the same for a persistence engine, which the kernel doesn't tell
	// apart.
	ErrScheduler = errors.New("no such scheduler or persistence engine in this kernel")
	// ErrInvalid: the step asks for what a kernel refuses, silently changes
	// or makes no sense of. Trying again is no use.
	ErrInvalid = errors.New("invalid")
	// ErrNoIPVS: the kernel has no IPVS, and it could not be loaded.
	ErrNoIPVS = errors.New("the kernel has no IPVS")
	// ErrPermission: this process may not read or change the table.
	ErrPermission = errors.New("not permitted")
	// ErrTimeout: the kernel's answer didn't come. Whether the step was done
	// is unknown; read again.
	ErrTimeout = errors.New("no answer from the kernel")
	// ErrReloaded: the module ip_vs was unloaded and loaded again under the
	// running process, which can't change the new table; only a new process
	// can.
	ErrReloaded = errors.New("the module ip_vs was loaded anew; restart this process")
	// ErrSkipped: Execute left the step out, because one it depends on
	// failed or because its time was up.
	ErrSkipped = errors.New("skipped")
)
