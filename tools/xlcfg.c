// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xl.cfg(5), read by those who know its syntax: xl itself, and its library.
 */
#include "config.h"

#include <errno.h>
#include <libxlutil.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xlrbd.h"

char *xlcfg_read(const char *path)
{
	FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char *text = NULL;
	size_t size = 0;
	ssize_t length;

	if (!file) {
		fail("%s: %s", path, strerror(errno));
		return NULL;
	}
	errno = 0;
	length = getdelim(&text, &size, '\0', file);
	if (length < 0 && errno)
		fail("%s: %s", path, strerror(errno));
	else if (length < 0 || strlen(text) < (size_t)length - 1)
		fail("%s: not a text", path);
	else
		length = 1;
	if (file != stdin)
		fclose(file);
	if (length == 1)
		return text;
	free(text);
	return NULL;
}

bool xlcfg_has(const char *text, const char *key)
{
	XLU_Config *config = xlu_cfg_init(stderr, "definition");
	const char *value;
	bool has;

	if (!config)
		return false;
	has = !xlu_cfg_readdata(config, text, strlen(text)) &&
	      !xlu_cfg_get_string(config, key, &value, 0);
	xlu_cfg_destroy(config);
	return has;
}

/* A file of that text that nobody else sees; removed by the caller. */
static int write_file(const char *text, char path[32])
{
	size_t length = strlen(text);
	ssize_t n;
	int fd;

	strcpy(path, "/tmp/xlrbd.XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return fail("%s: %m", path);
	n = write(fd, text, length);
	if (close(fd) == 0 && n == (ssize_t)length)
		return DONE;
	unlink(path);
	return fail("%s: %m", path);
}

int xlcfg_parse(const char *text, json_t **config_out)
{
	char path[32];
	const char *argv[] = { "xl", "-N", "create", "-q", path, NULL };
	json_error_t error;
	json_t *root, *config;
	char *output;
	int status;

	if (write_file(text, path))
		return FAILED;
	status = program_output(argv, &output);
	unlink(path);
	root = !status ? json_loads(output, JSON_DISABLE_EOF_CHECK, &error) :
			 NULL;
	free(output);
	if (status)
		return fail("xl does not take it (exit code %d): see above; only a Xen host can tell",
			    status);
	if (!root)
		return fail("what `xl -N create` prints is not understood: %s",
			    error.text);
	/* {"domid": null, "config": {...}} */
	config = json_object_get(root, "config");
	*config_out = json_incref(config ? config : root);
	json_decref(root);
	return DONE;
}
