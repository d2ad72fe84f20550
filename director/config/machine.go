package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
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
