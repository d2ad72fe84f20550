package checker

import (
	"context"
	"errors"
	"strconv"
	"strings"
)

// Redis and what speaks its protocol (RESP2): AUTH where there is a password,
// PING, and a further command where one is asked for.
var redisKind = kind{
	typ: Redis, keys: keysOf("login", "password_file", "request", "receive", "tls"), port: 6379,
	valid: (*problems).redis, build: dialogue(talkRedis),
}

func (v *problems) redis(s Spec) {
	if s.Login != "" && s.PasswordFile == "" {
		v.add("login", "needs password_file, a file that holds the password and nothing else")
	}
	if s.Receive != "" && s.Request == "" {
		v.add("receive", `needs request, the command whose answer must match it, such as "INFO replication"`)
	}
	if strings.ContainsFunc(s.Request, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		v.add("request", "%q holds a control character", s.Request)
	}
}

func talkRedis(_ context.Context, s *session) Result {
	password, err := s.password()
	if err != nil {
		return s.fail(err)
	}
	if password != "" {
		words := []string{"AUTH", password}
		if s.spec.Login != "" {
			words = []string{"AUTH", s.spec.Login, password}
		}
		if answer, err := s.orderRedis(words, "AUTH ****"); err != nil {
			return s.fail(err)
		} else if answer != "OK" {
			return s.wrong(answer)
		}
	}
	switch answer, err := s.orderRedis([]string{"PING"}, "PING"); {
	case err != nil:
		return s.fail(err)
	case answer != "PONG":
		return s.wrong(answer)
	}
	r := good("PONG")
	if s.spec.Request != "" {
		answer, err := s.orderRedis(strings.Fields(s.spec.Request), s.spec.Request)
		if err != nil {
			return s.fail(err)
		}
		r = s.matched([]byte(answer), "the answer to "+s.spec.Request, "PONG, "+s.spec.Request+" answered")
		r.Sample = sample([]byte(answer), "")
	}
	if r.OK {
		s.goodbye("QUIT")
	}
	return r
}

// orderRedis sends a command in the form that can hold any byte.
func (s *session) orderRedis(words []string, shown string) (string, error) {
	var b strings.Builder
	b.WriteString("*" + strconv.Itoa(len(words)))
	for _, w := range words {
		b.WriteString("\r\n$" + strconv.Itoa(len(w)) + "\r\n" + w)
	}
	if err := s.sendSecret(b.String(), shown); err != nil {
		return "", err
	}
	return s.redisAnswer()
}

// redisAnswer reads one answer: a line, a number or a text with its length.
func (s *session) redisAnswer() (string, error) {
	line, err := s.line()
	if err != nil {
		return "", err
	}
	if line == "" {
		return "", s.refused(line)
	}
	switch rest := line[1:]; line[0] {
	case '+', ':':
		return rest, nil
	case '$':
		n, err := strconv.Atoi(rest)
		switch {
		case err != nil || n < -1:
			return "", s.refused(line)
		case n == -1:
			return "", refusal("there is no such value")
		case n > maxDialog:
			return "", errLongDialog
		}
		b := make([]byte, n+2)
		if err := s.read(b); err != nil {
			return "", err
		}
		return string(b[:n]), nil
	case '*':
		return "", errors.New("the answer is a list, which can't be matched; ask for a text, such as INFO")
	}
	return "", s.refused(strings.TrimPrefix(line, "-"))
}
