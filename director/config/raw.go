package config

// The raw structs are the file as it was written. A nil pointer is a key that
// isn't there. Their toml tags are the one list of the keys that exist.

type rawFile struct {
	at
	HTTP     rawHTTP      `toml:"http"`
	Director rawDirector  `toml:"director"`
	Sysctl   rawSysctl    `toml:"sysctl"`
	Check    rawCheck     `toml:"check"`
	Hooks    rawHooks     `toml:"hooks"`
	Email    rawEmail     `toml:"email"`
	Cluster  rawCluster   `toml:"cluster"`
	Groups   []rawGroup   `toml:"group"`
	VIPs     []rawVIP     `toml:"vip"`
	Virtuals []rawVirtual `toml:"virtual"`
}

type rawHTTP struct {
	at
	Listen *string `toml:"listen"`
}

type rawDirector struct {
	at
	CleanStop    *bool   `toml:"clean_stop"`
	AutoReload   *bool   `toml:"autoreload"`
	StateDir     *string `toml:"state_dir"`
	RemovalGrace *span   `toml:"removal_grace"`

	MaintenanceDir *string `toml:"maintenance_dir"`
	CheckMarks     *int64  `toml:"check_marks"`
}

type rawSysctl struct {
	at
	Manage *bool `toml:"manage"`
}

// rawCheck is [check] and [virtual.check].
type rawCheck struct {
	at
	Type     *string `toml:"type"`
	Interval *span   `toml:"interval"`
	Timeout  *span   `toml:"timeout"`
	Rise     *int64  `toml:"rise"`
	Fall     *int64  `toml:"fall"`
	Port     *int64  `toml:"port"`
	Path     *string `toml:"path"`

	Request      *string `toml:"request"`
	Receive      *string `toml:"receive"`
	Login        *string `toml:"login"`
	PasswordFile *string `toml:"password_file"`
	SecretFile   *string `toml:"secret_file"`
	Database     *string `toml:"database"`
	Send         *string `toml:"send"`
	Expect       *string `toml:"expect"`
	ConnectRatio *int64  `toml:"connect_ratio"`

	Status          *status  `toml:"status"`
	Method          *string  `toml:"method"`
	VirtualHost     *string  `toml:"virtualhost"`
	Headers         *headers `toml:"headers"`
	FollowRedirects *bool    `toml:"follow_redirects"`
	JSONField       *string  `toml:"json_field"`
	JSONValue       *scalar  `toml:"json_value"`

	TLS        *bool   `toml:"tls"`
	StartTLS   *bool   `toml:"starttls"`
	ServerName *string `toml:"server_name"`
	CAFile     *string `toml:"ca_file"`
	Verify     *bool   `toml:"verify"`
	MinTLS     *string `toml:"min_tls"`
	ClientCert *string `toml:"client_cert"`
	ClientKey  *string `toml:"client_key"`
	MinDays    *int64  `toml:"min_days"`

	Record      *string `toml:"record"`
	GRPCService *string `toml:"grpc_service"`

	Command *command `toml:"command"`
}

type rawCluster struct {
	at
	Name         *string    `toml:"name"`
	Listen       *string    `toml:"listen"`
	Join         *list      `toml:"join"`
	KeyFile      *string    `toml:"key_file"`
	Insecure     *bool      `toml:"insecure"`
	Priority     *int64     `toml:"priority"`
	Profile      *string    `toml:"profile"`
	Preempt      *bool      `toml:"preempt"`
	PreemptDelay *span      `toml:"preempt_delay"`
	Interface    *string    `toml:"interface"`
	Quorum       *string    `toml:"quorum"`
	Isolated     *string    `toml:"isolated"`
	Witnesses    *list      `toml:"witnesses"`
	Sync         rawSync    `toml:"sync"`
	Hooks        rawRoles   `toml:"hooks"`
	Tracks       []rawTrack `toml:"track"`
}

type rawSync struct {
	at
	Enabled   *bool   `toml:"enabled"`
	ID        *int64  `toml:"id"`
	Interface *string `toml:"interface"`
}

type rawRoles struct {
	at
	Active        *command `toml:"active"`
	Standby       *command `toml:"standby"`
	Fault         *command `toml:"fault"`
	Timeout       *span    `toml:"timeout"`
	Retries       *int64   `toml:"retries"`
	RetryInterval *span    `toml:"retry_interval"`
}

type rawHooks struct {
	at
	RealUp        *command `toml:"real_up"`
	RealDown      *command `toml:"real_down"`
	VirtualUp     *command `toml:"virtual_up"`
	VirtualDown   *command `toml:"virtual_down"`
	Reload        *command `toml:"reload"`
	Timeout       *span    `toml:"timeout"`
	Retries       *int64   `toml:"retries"`
	RetryInterval *span    `toml:"retry_interval"`
}

type rawVirtualHooks struct {
	at
	RealUp      *command `toml:"real_up"`
	RealDown    *command `toml:"real_down"`
	VirtualUp   *command `toml:"virtual_up"`
	VirtualDown *command `toml:"virtual_down"`
}

type rawEmail struct {
	at
	To           *list   `toml:"to"`
	From         *string `toml:"from"`
	SMTP         *string `toml:"smtp"`
	StartTLS     *string `toml:"starttls"`
	Login        *string `toml:"login"`
	PasswordFile *string `toml:"password_file"`
	Only         *list   `toml:"only"`
	Repeat       *span   `toml:"repeat"`
}

type rawTrack struct {
	at
	Interface  *string  `toml:"interface"`
	Gateway    *string  `toml:"gateway"`
	Command    *command `toml:"command"`
	FewerReals *int64   `toml:"fewer_reals"`
	Weight     *int64   `toml:"weight"`
	Interval   *span    `toml:"interval"`
	Timeout    *span    `toml:"timeout"`
	Rise       *int64   `toml:"rise"`
	Fall       *int64   `toml:"fall"`
}

type rawGroup struct {
	at
	Name     *string `toml:"name"`
	VIPs     *list   `toml:"vips"`
	Priority *int64  `toml:"priority"`
}

type rawVIP struct {
	at
	Address   *string `toml:"address"`
	Interface *string `toml:"interface"`
}

type rawVirtual struct {
	at
	Name               *string         `toml:"name"`
	Comment            *string         `toml:"comment"`
	Address            *string         `toml:"address"`
	Protocol           *string         `toml:"protocol"`
	FWMark             *int64          `toml:"fwmark"`
	Family             *string         `toml:"family"`
	Scheduler          *string         `toml:"scheduler"`
	SchedulerFlags     *list           `toml:"scheduler_flags"`
	Forward            *string         `toml:"forward"`
	Persistence        *span           `toml:"persistence"`
	PersistenceNetmask *netmask        `toml:"persistence_netmask"`
	PersistenceEngine  *string         `toml:"persistence_engine"`
	OnePacket          *bool           `toml:"one_packet"`
	Quiescent          *bool           `toml:"quiescent"`
	Fallback           *rawFallback    `toml:"fallback"`
	MinUp              *int64          `toml:"min_up"`
	SlowStart          *span           `toml:"slow_start"`
	FailOpen           *rawFailOpen    `toml:"fail_open"`
	Damping            *rawDamping     `toml:"damping"`
	Check              rawCheck        `toml:"check"`
	Hooks              rawVirtualHooks `toml:"hooks"`
	Email              *mailTo         `toml:"email"`
	Reals              []rawReal       `toml:"real"`
}

type rawFallback struct {
	at
	Address *string `toml:"address"`
	Forward *string `toml:"forward"`
}

type rawFailOpen struct {
	at
	Percent *int64 `toml:"percent"`
	Within  *span  `toml:"within"`
	Hold    *span  `toml:"hold"`
}

type rawDamping struct {
	at
	Falls  *int64 `toml:"falls"`
	Within *span  `toml:"within"`
	Calm   *span  `toml:"calm"`
}

type rawReal struct {
	at
	Address        *string    `toml:"address"`
	Port           *int64     `toml:"port"`
	Weight         *weight    `toml:"weight"`
	Tier           *int64     `toml:"tier"`
	Forward        *string    `toml:"forward"`
	Request        *string    `toml:"request"`
	Receive        *string    `toml:"receive"`
	Send           *string    `toml:"send"`
	Expect         *string    `toml:"expect"`
	UpperThreshold *int64     `toml:"upper_threshold"`
	LowerThreshold *int64     `toml:"lower_threshold"`
	Tunnel         *rawTunnel `toml:"tunnel"`
}

type rawTunnel struct {
	at
	Type     *string `toml:"type"`
	Port     *int64  `toml:"port"`
	Checksum *string `toml:"checksum"`
}

// at is where a table and its keys are in the file. Every raw table has one.
type at struct {
	header int
	prefix string // "fallback." where all stands in one line, so that "address" alone could be another
	keys   map[string]int
	bad    map[string]bool
}

func (t *at) place() *at { return t }

// line returns the line of a key, or the table's where the key isn't there.
func (t *at) line(key string) int {
	if l, ok := t.keys[key]; ok {
		return l
	}
	return t.header
}

// has tells whether the key was written, rightly or wrongly.
func (t *at) has(key string) bool {
	_, ok := t.keys[key]
	return ok
}

// spoil marks a key as wrong, so that nothing is concluded from its value.
func (t *at) spoil(key string) {
	if t.bad == nil {
		t.bad = make(map[string]bool)
	}
	t.bad[key] = true
}

// or returns what was written, or the default.
func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}
