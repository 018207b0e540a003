// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A command for a domain that another host runs is carried out there, with the
 * same output and exit code.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xlrbd.h"

/* What ssh itself exits with when it fails (ssh(1), EXIT STATUS). */
#define SSH_FAILED	255

/* 'it'\''s', for the shell that ssh starts there; freed by the caller. */
static char *quoted(int argc, char **argv)
{
	size_t size = 1;
	char *text, *p;
	const char *c;
	int i;

	for (i = 0; i < argc; i++)
		size += 4 * strlen(argv[i]) + 3;
	p = text = malloc(size);
	for (i = 0; text && i < argc; i++) {
		*p++ = ' ';
		*p++ = '\'';
		for (c = argv[i]; *c; c++)
			p = *c == '\'' ? stpcpy(p, "'\\''") : (*p = *c, p + 1);
		*p++ = '\'';
	}
	if (text)
		*p = '\0';
	return text;
}

/* A host that falls silent is given up after 15 s. */
#define SSH_OPTIONS \
	"-o", "BatchMode=yes", "-o", "ConnectTimeout=10", \
	"-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"

struct ssh {
	const char *argv[12];
};

static struct ssh ssh(const char *address, const char *command)
{
	return (struct ssh){
		{ "ssh", SSH_OPTIONS, address, command, NULL }
	};
}

static int fail_ssh(const char *host, const char *address)
{
	return fail("%s did not do it: ssh to %s failed; see [hosts] in xlrbd.conf(5)",
		    host, address);
}

static int run_there(const char *host, const char *address,
		     const char *command)
{
	int status;

	fflush(stdout);
	status = program_run(ssh(address, command).argv);
	return status == SSH_FAILED || status < 0 ? fail_ssh(host, address) :
						    status;
}

int remote_output(struct session *s, const char *host, const char *command,
		  char **output_out)
{
	char *address = NULL;
	int status;

	*output_out = NULL;
	if (xlrbd_host_address(s->ctx, host, &address) < 0)
		return fail_ctx(s);
	status = program_output(ssh(address, command).argv, output_out);
	if (status == SSH_FAILED || status < 0)
		fail_ssh(host, address);
	free(address);
	return status ? FAILED : DONE;
}

int remote_start(struct session *s, const char *host, const char *command,
		 int *in, int *out, pid_t *pid)
{
	char *address = NULL;

	if (xlrbd_host_address(s->ctx, host, &address) < 0)
		return fail_ctx(s);
	*pid = program_open(ssh(address, command).argv, in, out);
	free(address);
	return *pid < 0 ? fail("ssh: cannot be started") : DONE;
}

char *shell_quoted(const char *text)
{
	return quoted(1, (char **)&text);
}

int remote_run(struct session *s, const char *host)
{
	char *address = NULL, *arguments, *command = NULL;
	int rc;

	if (xlrbd_host_address(s->ctx, host, &address) < 0)
		return fail_ctx(s);
	arguments = quoted(s->argc - 1, s->argv + 1);
	if (!arguments ||
	    asprintf(&command, "xlrbd '%s' --here%s", s->argv[0], arguments) < 0)
		rc = fail("out of memory");
	else
		rc = run_there(host, address, command);
	free(command);
	free(arguments);
	free(address);
	return rc;
}
