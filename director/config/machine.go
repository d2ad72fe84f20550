package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
)

// machine is what Load asks the machine that it runs on, beside its files.
type machine struct {
	hostname  func() (string, error)
	addresses func() ([]net.Addr, error)
}

func thisMachine() *machine { return &machine{os.Hostname, net.InterfaceAddrs} }

// local returns the addresses of this machine's interfaces.
func (m *machine) local() (map[netip.Addr]bool, error) {
	list, err := m.addresses()
	if err != nil {
		return nil, err
	}
	local := make(map[netip.Addr]bool, len(list))
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			local[p.Addr().Unmap()] = true
		}
	}
	return local, nil
}

// keyFileProblem says why the cluster's key can't be read, or "". What is in it
// is the cluster's business.
func keyFileProblem(path string) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("no file %s; \"ipvsd cluster keygen\" writes one, which every director needs", path)
	case err == nil && !info.Mode().IsRegular():
		return path + " is not a file; \"ipvsd cluster keygen\" writes one"
	}
	if err == nil {
		var f *os.File
		if f, err = os.Open(path); err == nil {
			_ = f.Close()
			return ""
		}
	}
	return fmt.Sprintf("%s: %v; let the user that ipvsd runs as read it", path, reason(err))
}

// maintenanceDir tells what is wrong with [director] maintenance_dir. One that
// isn't there may be made later, but is a typing error more often.
func (r *report) maintenanceDir(t *at, dir string) {
	switch {
	case dir == "":
		return
	case !strings.HasPrefix(dir, "/"):
		r.key(t, "maintenance_dir", "%q doesn't begin with /; write the whole path, such as \"/etc/ipvsd/maintenance\"", dir)
	case r.here != nil:
		switch info, err := os.Stat(dir); {
		case errors.Is(err, fs.ErrNotExist):
			r.warnf(t.line("maintenance_dir"), "maintenance_dir: there is no %s; nobody is in maintenance until you make it", dir)
		case err == nil && !info.IsDir():
			r.key(t, "maintenance_dir", "%s is not a directory; it must be one, with a file for each real server that shall be out", dir)
		}
	}
}
