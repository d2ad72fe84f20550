package keepalived

import (
	"fmt"
	"strings"
	"testing"
)

// reals writes real servers 10.0.0.1 and on, each with these lines.
func reals(lines ...string) string {
	var b strings.Builder
	for i, l := range lines {
		fmt.Fprintf(&b, "real_server 10.0.0.%d 80 {\nTCP_CHECK {\n}\n%s\n}\n", i+1, l)
	}
	return b.String()
}

const oneVirtual = "virtual_server 192.0.2.10 80 {\nprotocol TCP\nlb_kind DR\n%s}\n"

// TestPrograms is about those that a virtual_server and its real servers run.
func TestPrograms(t *testing.T) {
	long := "notify_down /bin/" + strings.Repeat("x", maxHookText/3)
	for _, c := range []keyword{
		{name: "quorum_up", conf: "quorum_up \"/bin/sorry stop\" # back\n" + reals(""), want: "[virtual.hooks]\nvirtual_up = [\"/bin/sorry\", \"stop\"]   # back", told: "runs it at its start, too"},
		{name: "quorum_down", conf: "quorum_down \"/bin/sorry start\"\n" + reals(""), want: `virtual_down = ["/bin/sorry", "start"]`, told: "again where it fails"},
		{name: "of all", conf: reals("notify_down \"/bin/told down\"\nnotify_up \"/bin/told up\"", "notify_down \"/bin/told down\"\nnotify_up \"/bin/told up\""), want: "real_up = [\"/bin/told\", \"up\"]\nreal_down = [\"/bin/told\", \"down\"]", told: "notify_down: it is real_down"},
		{name: "of one", conf: reals("notify_down /bin/told", ""), want: `real_down = ["/bin/sh", "-c", "case $IPVSD_REAL in 10.0.0.1:80) exec /bin/told;; esac"]`, told: "The shell chooses"},
		{
			name: "of each", conf: reals("notify_down \"/bin/told 'web 1'\"", "notify_down /bin/told", "notify_down /bin/told"),
			want: `real_down = ["/bin/sh", "-c", "case $IPVSD_REAL in 10.0.0.1:80) exec /bin/told 'web 1';; 10.0.0.2:80|10.0.0.3:80) exec /bin/told;; esac"]`,
		},
		{name: "of none", conf: reals("notify_down", ""), not: "[virtual.hooks]", lost: []string{"no program is named"}},
		{name: "as somebody", conf: reals("notify_down /bin/told nobody"), want: `real_down = ["/bin/told"]`, lost: []string{"not as nobody"}},
		{name: "of a bad one", conf: reals("notify_down /bin/told") + "real_server x 80 {\nnotify_down /bin/other\n}\n", want: `real_down = ["/bin/told"]`, lost: []string{"not the address"}},
		{name: "too long", conf: reals(long+"1", long+"2", long+"3", ""), not: "[virtual.hooks]", lost: []string{"too many different programs"}},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, fmt.Sprintf(oneVirtual, c.conf)) })
	}
	c := keyword{want: `real_down = ["/bin/sh", "-c", "case $IPVSD_REAL in '[2001:db8::1]:0') exec /bin/told;; esac"]`}
	c.run(t, "virtual_server fwmark 7 {\nlb_kind DR\nreal_server 2001:db8::1 80 {\nnotify_down /bin/told\nPING_CHECK {\n}\n}\nreal_server 2001:db8::2 80 {\nPING_CHECK {\n}\n}\n}\n")
	c = keyword{want: `real_down = ["/bin/told"]`, told: "Each address of the group has its own run"}
	c.run(t, "virtual_server_group G {\n192.0.2.10-11 80\n}\nvirtual_server group G {\nprotocol TCP\nlb_kind DR\n"+reals("notify_down /bin/told")+"}\n")
}

// TestMail is about who is told by mail.
func TestMail(t *testing.T) {
	const to = "notification_email {\na@example.org # ops\nroot\na@example.org\n}\n"
	for _, c := range []struct {
		global, virtual string
		keyword
	}{
		{"notification_email_from Director <lb1@example.org>\nsmtp_server mail.example.org 2525\nsmtp_helo_name x\n" + to, reals(""), keyword{name: "all", want: "to = [\"a@example.org\", \"root@localhost\"]\nfrom = \"Director <lb1@example.org>\"\nsmtp = \"mail.example.org:2525\"", not: "email", told: "smtp_helo_name"}},
		{"notification_email {\na b\n}\nnotification_email_from x y\nsmtp_server a/b\n", "", keyword{name: "none", not: "[email]", lost: []string{`"a b" is not an address`, "notification_email_from: ", `"a/b" is not a mail server`}}},
		{"notification_email {\n" + strings.Repeat("a@x.org\nb@x.org\n", 2) + manyAddresses() + "}\n", "", keyword{name: "many", want: "[email]", lost: []string{"103 addresses; there can be 100"}}},
		{"smtp_server 2001:db8::25 x\n" + to, "", keyword{name: "ipv6", want: `smtp = "[2001:db8::25]:25"`, lost: []string{`"x" is not a number`}}},
		{to, "smtp_alert off\n" + reals("smtp_alert off"), keyword{name: "off", want: `email = "off"`}},
		{to, "smtp_alert\n" + reals("smtp_alert no"), keyword{name: "not of all", not: "email", lost: []string{"real_server: no mail was sent about it"}}},
		{"smtp_alert off\n" + to, reals(""), keyword{name: "off for all", want: `email = "off"`}},
		{"smtp_alert off\nsmtp_alert_checker on\n" + to, reals(""), keyword{name: "but for checkers", not: "email"}},
		{"smtp_alert off\n" + to, reals("smtp_alert true", ""), keyword{name: "on for one", not: "email", lost: []string{"no mail was sent"}}},
		{"smtp_alert_vrrp\nno_checker_emails\n" + to, "", keyword{name: "of roles", lost: []string{"smtp_alert_vrrp: "}, told: "no_checker_emails"}},
		{"", "smtp_alert\n" + reals(""), keyword{name: "nobody", not: "email", told: "nobody is told"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, "global_defs {\n"+c.global+"}\n"+fmt.Sprintf(oneVirtual, c.virtual))
		})
	}
}

func manyAddresses() string {
	var b strings.Builder
	for i := range 101 {
		fmt.Fprintf(&b, "n%d@x.org\n", i)
	}
	return b.String()
}
