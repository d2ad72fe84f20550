package realserver

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// littleEndian is the byte order of this machine.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// Socket is where a server on this node waits.
type Socket struct {
	Protocol string         `json:"protocol"` // tcp or udp
	Addr     netip.AddrPort `json:"address"`
}

// Listener is a Socket with the number of its inode, by which /proc/PID/fd
// names it.
type Listener struct {
	Socket
	Inode uint64
}

// String is protocol and address: tcp 0.0.0.0:80.
func (s Socket) String() string { return s.Protocol + " " + s.Addr.String() }

// Sockets lists the node's listening TCP and unconnected UDP sockets.
func Sockets() ([]Socket, error) {
	var list []Socket
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6"} {
		f, err := os.Open("/proc/thread-self/net/" + name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read sockets: %v", err)
		}
		found, err := ParseListeners(f, strings.TrimSuffix(name, "6"))
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("read sockets: %s: %v", name, err)
		}
		for _, l := range found {
			list = append(list, l.Socket)
		}
	}
	slices.SortFunc(list, func(a, b Socket) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), a.Addr.Compare(b.Addr))
	})
	return slices.Compact(list), nil
}

// ParseListeners reads the tables of proc_net_tcp.rst, /proc/net/tcp and its
// like: addresses are words of 32 bits, each in the byte order of the host.
func ParseListeners(r io.Reader, protocol string) ([]Listener, error) {
	waiting := map[string]string{"tcp": "0A", "udp": "07"}[protocol]
	var list []Listener
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 4 || words[3] != waiting {
			continue
		}
		addr, err := parseSocketAddr(words[1])
		if err != nil {
			return nil, err
		}
		l := Listener{Socket: Socket{protocol, addr}}
		if len(words) > 9 {
			l.Inode, _ = strconv.ParseUint(words[9], 10, 64) // 0 is no socket's
		}
		list = append(list, l)
	}
	return list, lines.Err()
}

func parseSocketAddr(text string) (netip.AddrPort, error) {
	host, port, ok := strings.Cut(text, ":")
	number, err := strconv.ParseUint(port, 16, 16)
	data, hexErr := hex.DecodeString(host)
	if !ok || err != nil || hexErr != nil || len(data) != 4 && len(data) != 16 {
		return netip.AddrPort{}, fmt.Errorf("not a socket address: %q", text)
	}
	for word := range slices.Chunk(data, 4) {
		if littleEndian {
			slices.Reverse(word)
		}
	}
	addr, _ := netip.AddrFromSlice(data)
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}

// serving picks the sockets that get packets for addr. One on [::] takes IPv4
// as well, unless the server asked for IPv6 only, which /proc does not show.
func serving(all []Socket, addr netip.Addr) []Socket {
	var list []Socket
	for _, s := range all {
		on := s.Addr.Addr()
		if on == addr || on.IsUnspecified() && (on.Is6() || addr.Is4()) {
			list = append(list, s)
		}
	}
	return list
}
