module github.com/ipvsd/ipvsd

go 1.26.0

require (
	github.com/BurntSushi/toml v1.6.0 // the file; tells unknown keys
	github.com/coreos/go-systemd/v22 v22.7.0 // sd_notify, watchdog, journal detection
	github.com/go-asn1-ber/asn1-ber v1.5.8 // ldap checks: BER as servers write it, which encoding/asn1 refuses
	github.com/go-sql-driver/mysql v1.10.1 // mysql checks: logins by four plugins, RSA and TLS
	github.com/google/go-cmp v0.7.0 // test diffs
	github.com/hashicorp/memberlist v0.7.0 // who exists; encrypted transport between directors
	github.com/jackc/pgx/v5 v5.12.0 // pgsql checks: only pgconn and pgproto3; SCRAM
	github.com/miekg/dns v1.1.73 // dns checks; memberlist links it already
	github.com/moby/ipvs v1.1.0 // virtual services; the kernel API that the field knows
	github.com/prometheus/client_golang v1.25.0 // metrics registry, Go and process collectors
	github.com/prometheus/client_model v0.6.3 // its data model, for OpenMetrics
	github.com/prometheus/common v0.72.0 // exposition format; the version client_golang asks for
	github.com/sirupsen/logrus v1.10.2 // moby/ipvs's logger, silenced; off CVE-2025-65637
	github.com/spf13/cobra v1.10.2 // commands and completions without templates in the binary
	github.com/spf13/pflag v1.0.9 // flags as values, for the pages made from cobra's tree
	github.com/vishvananda/netlink v1.3.1 // addresses, links, generic netlink
	go.uber.org/goleak v1.3.0 // no goroutine outlives a test
	golang.org/x/sys v0.49.0 // raw sockets, sysctls, namespaces
	golang.org/x/term v0.47.0 // status --watch
	pgregory.net/rapid v1.3.0 // property tests of the plan
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/google/btree v1.1.3 // indirect
	github.com/hashicorp/errwrap v1.1.0 // indirect
	github.com/hashicorp/go-immutable-radix v1.3.1 // indirect
	github.com/hashicorp/go-metrics v0.7.0 // indirect
	github.com/hashicorp/go-msgpack/v2 v2.1.5 // indirect
	github.com/hashicorp/go-multierror v1.1.1 // indirect
	github.com/hashicorp/go-sockaddr v1.0.7 // indirect
	github.com/hashicorp/golang-lru v1.0.2 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/sean-/seed v0.0.0-20170313163322-e2103e2c3529 // indirect
	github.com/vishvananda/netns v0.0.5 // indirect
	golang.org/x/net v0.59.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
