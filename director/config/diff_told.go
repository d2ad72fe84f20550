package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ipvsd/ipvsd/director/table"
)

// toldGlobally are the settings of [hooks] and [email].
func toldGlobally(c *Config) []setting {
	h, e := c.Hooks, c.Email
	phases := make([]string, len(e.Only))
	for i, p := range e.Only {
		phases[i] = string(p)
	}
	out := hookSettings(h.VirtualHooks)
	for i := range out {
		out[i].name = "[hooks] " + strings.TrimPrefix(out[i].name, "hook ")
	}
	return append(out, []setting{
		{"[hooks] reload", programWords(h.Reload)},
		{"[hooks] timeout", h.Timeout.String()},
		{"[hooks] retries", fmt.Sprint(h.Retries)},
		{"[hooks] retry_interval", h.RetryInterval.String()},
		{"[email] to", wordList(e.To)},
		{"[email] from", strconv.Quote(e.From)},
		{"[email] smtp", e.SMTP},
		{"[email] starttls", string(e.StartTLS)},
		{"[email] login", strconv.Quote(e.Login)},
		{"[email] password_file", strconv.Quote(e.PasswordFile)},
		{"[email] only", wordList(phases)},
		{"[email] repeat", e.Repeat.String()},
	}...)
}

func wordList(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func hookSettings(h VirtualHooks) []setting {
	shown := func(program string) string {
		if program == "" {
			return "none"
		}
		return programWords(program)
	}
	return []setting{
		{"hook real_up", shown(h.RealUp)},
		{"hook real_down", shown(h.RealDown)},
		{"hook virtual_up", shown(h.VirtualUp)},
		{"hook virtual_down", shown(h.VirtualDown)},
	}
}

// diffTold compares what is told of each virtual service, and to whom.
func diffTold(before, after *Config) []string {
	old := make(map[table.ServiceKey]Virtual, len(before.Virtuals))
	for _, v := range before.Virtuals {
		old[v.Service.ServiceKey] = v
	}
	var out []string
	for _, v := range after.Virtuals {
		if b, ok := old[v.Service.ServiceKey]; ok {
			out = append(out, changes(fmt.Sprintf("virtual %s: ", v.Name), toldSettings(b, before), toldSettings(v, after))...)
		}
	}
	return out
}

// toldSettings are a virtual service's own. What is the default is called so:
// when that changes, it is told by itself.
func toldSettings(v Virtual, c *Config) []setting {
	out, def := hookSettings(v.Hooks), hookSettings(c.Hooks.VirtualHooks)
	for i := range out {
		if out[i] == def[i] {
			out[i].value = "default"
		}
	}
	email := wordList(v.Email)
	if slices.Equal(v.Email, c.Email.To) {
		email = "default"
	}
	return append(out, setting{"email", email}, setting{"comment", strconv.Quote(v.Comment)})
}
