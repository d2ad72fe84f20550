package checker

import (
	"context"
	"strings"
)

// memcached's text protocol: version.
var memcachedKind = kind{typ: Memcached, keys: keysOf("tls"), port: 11211, build: dialogue(talkMemcached)}

func talkMemcached(_ context.Context, s *session) Result {
	line, err := s.ask("version")
	if err != nil {
		return s.fail(err)
	}
	version, ok := strings.CutPrefix(line, "VERSION ")
	if !ok || version == "" {
		return s.wrong(line)
	}
	s.goodbye("quit")
	return good("version " + shortened(version))
}
