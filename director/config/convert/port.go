package convert

import (
	"strconv"
	"strings"
)

// knownPorts are the names of IANA's registry that stand in files of load
// balancers, for machines without /etc/services and for tests. Those that only
// one protocol has are marked by it.
var knownPorts = map[string]uint16{
	"ftp": 21, "ssh/tcp": 22, "telnet/tcp": 23, "smtp/tcp": 25, "mail/tcp": 25, "domain": 53, "tftp/udp": 69,
	"http/tcp": 80, "www/tcp": 80, "kerberos": 88, "pop3/tcp": 110, "pop-3/tcp": 110, "sunrpc": 111, "nntp/tcp": 119,
	"ntp/udp": 123, "imap/tcp": 143, "imap2/tcp": 143, "snmp": 161, "ldap": 389, "https": 443, "submissions/tcp": 465,
	"ssmtp/tcp": 465, "smtps/tcp": 465, "syslog/udp": 514, "submission/tcp": 587, "ldaps": 636, "ftps/tcp": 990,
	"imaps/tcp": 993, "pop3s/tcp": 995, "ms-sql-s/tcp": 1433, "radius": 1812, "radius-acct": 1813, "nfs": 2049,
	"mysql/tcp": 3306, "postgresql/tcp": 5432, "sip": 5060, "sip-tls": 5061, "redis/tcp": 6379, "http-alt": 8080,
	"webcache/tcp": 8080,
}

// KnownPort finds the port of a usual service's name.
func KnownPort(name, protocol string) (uint16, bool) {
	if port, ok := knownPorts[name]; ok {
		return port, true
	}
	for _, p := range []string{"tcp", "udp"} {
		if protocol == "" || protocol == p {
			if port, ok := knownPorts[name+"/"+p]; ok {
				return port, true
			}
		}
	}
	return 0, false
}

// PortIn returns a lookup in the text of an /etc/services, by names and aliases.
func PortIn(services []byte) func(name, protocol string) (uint16, bool) {
	ports := make(map[string]uint16)
	for line := range strings.Lines(string(services)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		number, protocol, _ := strings.Cut(words[1], "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			continue
		}
		for _, name := range append(words[2:], words[0]) {
			for _, key := range []string{name + "/" + protocol, name + "/"} {
				if _, ok := ports[key]; !ok {
					ports[key] = uint16(port)
				}
			}
		}
	}
	return func(name, protocol string) (uint16, bool) {
		port, ok := ports[name+"/"+protocol]
		return port, ok
	}
}
