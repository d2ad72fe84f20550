package realserver

import (
	_ "embed" // the unit
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// networkFiles lists networkd's files in some folders, by base name.
func networkFiles(root string, dirs ...string) []string {
	var names []string
	for _, dir := range dirs {
		found, _ := filepath.Glob(filepath.Join(root, dir, "*.network"))
		for _, name := range found {
			names = append(names, path.Join(dir, filepath.Base(name)))
		}
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	return names
}

// networkPath chooses the file for a link. networkd applies one file to a link,
// the first by name; where the operator has one that names this link, ours
// would replace it or be ignored, so ours becomes a drop-in of it.
func networkPath(root, link string) string {
	own := "/etc/systemd/network/05-ipvsd-" + link + ".network"
	for _, name := range networkFiles(root, "/etc/systemd/network", "/run/systemd/network", "/usr/lib/systemd/network") {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || path.Base(name) == path.Base(own) || !namesLink(string(data), link) {
			continue
		}
		return path.Join("/etc/systemd/network", path.Base(name)+".d", "ipvsd-realserver.conf")
	}
	return own
}

// namesLink tells whether [Match] names the link itself; a pattern such as *
// is no reason for a drop-in, our file comes before it.
func namesLink(content, link string) bool {
	section := ""
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		key, value, ok := strings.Cut(line, "=")
		if ok && section == "[Match]" && strings.TrimSpace(key) == "Name" && slices.Contains(strings.Fields(value), link) {
			return true
		}
	}
	return false
}

// network is a .network file or a drop-in of one. KeepConfiguration protects
// what others put on the link, which networkd drops when it starts to manage
// it; LinkLocalAddressing keeps fe80:: off the tunnel. lo needs neither DHCP
// nor router advertisements, which networkd knows.
func (p persistence) network(link string) string {
	var b strings.Builder
	b.WriteString(header)
	if strings.HasSuffix(p.links[link], ".network") {
		fmt.Fprintf(&b, "[Match]\nName=%s\n\n[Network]\nKeepConfiguration=static\n", link)
		if link != "lo" {
			b.WriteString("LinkLocalAddressing=no\nIPv6AcceptRA=no\n")
		}
	}
	for _, a := range p.addrs {
		if a.Link != link {
			continue
		}
		fmt.Fprintf(&b, "\n[Address]\nAddress=%s\n", a.Prefix)
		if a.Label != "" {
			fmt.Fprintf(&b, "Label=%s\n", a.Label)
		}
		if !a.Prefix.Addr().Is4() {
			b.WriteString("PreferredLifetime=0\nDuplicateAddressDetection=none\n")
		}
	}
	return b.String()
}

// interfaces is a file for ifupdown. `inet manual` with `ip addr replace`, not
// `inet static`: the address may be up already when networking is restarted,
// and static then fails. The stanzas' own names keep clear of a lo:0 that
// somebody else wrote. lo itself may come later in the files, so it is set up.
func (p persistence) interfaces() string {
	var b strings.Builder
	b.WriteString(header)
	for _, link := range p.linkNames() {
		name := link
		if link == "lo" {
			name = "lo:ipvsd"
		}
		fmt.Fprintf(&b, "auto %s\niface %s inet manual\n", name, name)
		if m := tunnels[link]; m != "" {
			fmt.Fprintf(&b, "    pre-up modprobe %s\n", m)
		}
		for _, s := range p.settings {
			switch s.Key.link() {
			case "", link:
				fmt.Fprintf(&b, "    pre-up sysctl -q -w %s=%s\n", s.Key, s.New)
			default:
				if tunnels[s.Key.link()] == "" {
					fmt.Fprintf(&b, "    pre-up sysctl -q -w %s=%s || true\n", s.Key, s.New)
				}
			}
		}
		fmt.Fprintf(&b, "    pre-up ip link set %s up\n", link)
		for _, a := range p.addrs {
			if a.Link == link {
				fmt.Fprintf(&b, "    up ip addr replace %s\n", a.arguments())
			}
		}
		for _, a := range slices.Backward(p.addrs) {
			if a.Link == link {
				fmt.Fprintf(&b, "    down ip addr del %s dev %s || true\n", a.Prefix, a.Link)
			}
		}
	}
	return b.String()
}

// packagedUnit is where the Debian package put the unit, as systemctl enable
// would link to it; "" where it didn't.
func packagedUnit(root string) string {
	for _, dir := range []string{"/lib/systemd/system/", "/usr/lib/systemd/system/"} {
		if exists(root, dir+unitName) {
			return dir + unitName
		}
	}
	return ""
}

// packagedText is the unit of the Debian package. It runs setup at boot, which
// finds in the record what it was told.
//
//go:embed ipvsd-realserver.service
var packagedText string

// unit is the same for a node without the package.
func (p persistence) unit() string {
	setup := p.executable + " realserver setup"
	if p.record != RecordFile {
		setup += " --record " + p.record
	}
	return header + strings.NewReplacer("/usr/bin/ipvsd realserver setup", setup, RecordFile, p.record,
		path.Dir(RecordFile), path.Dir(p.record)).Replace(packagedText)
}
