// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * xlrbd create - start a domain here, if it runs nowhere
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xlrbd.h"

#define CREATING	"creating-"

static int load_file(const char *path, char **name_out, char **json_out)
{
	char *text = xlcfg_read(path);
	json_t *config = NULL;
	int rc;

	rc = text ? xlcfg_parse(text, &config) : FAILED;
	free(text);
	if (rc)
		return rc;
	*name_out = strdup(text_of(json_object_get(config, "c_info"),
				   "name"));
	*json_out = json_dumps(config, JSON_COMPACT);
	json_decref(config);
	return *name_out && *json_out ? DONE : fail("out of memory");
}

/*
 * A definition in the pool, or a file: one that says where it lies, or one of
 * whose name nothing is defined.
 */
static int load(struct session *s, const char *what, char **name_out,
		char **json_out)
{
	struct xlrbd_definition d;
	int rc;

	if (strchr(what, '/'))
		return load_file(what, name_out, json_out);
	rc = xlrbd_definition_load(s->ctx, &s->where, what, &d);
	if (rc == -ENOENT && !access(what, F_OK))
		return load_file(what, name_out, json_out);
	if (rc < 0)
		return fail_ctx(s);
	*name_out = d.name;
	*json_out = d.json;
	d.name = d.json = NULL;
	xlrbd_definition_dispose(&d);
	return DONE;
}

/* Does it run on another host, or has it, and what then? */
static int check_nowhere_else(struct session *s, const char *name)
{
	json_t *rows;
	const json_t *row;
	const char *status;
	size_t i;
	int rc;

	rc = find_domains(s, name, &rows);
	if (rc)
		return rc;
	json_array_foreach(rows, i, row) {
		status = text_of(row, "status");
		/* What this host has left behind goes with the attach. */
		if (rc || !*status || !strcmp(status, "fenced") ||
		    is_this_host(text_of(row, "host")))
			continue;
		if (!strcmp(status, "silent"))
			rc = fail("%s: was running on %s, which is silent since up to 30 s or for ever; if it is dead: `xlrbd takeover %s`, then create it",
				  name, text_of(row, "host"), name);
		else
			rc = fail("%s: runs on %s since %s (%s)", name,
				  text_of(row, "host"), text_of(row, "since"),
				  status);
	}
	json_decref(rows);
	return rc;
}

static void file_name(const char *name, char out[RUN_PATH_MAX])
{
	snprintf(out, RUN_PATH_MAX, CREATING "%s", name);
}

/*
 * A domain that stands still, and whose creator has died: it is half made.  One
 * that runs lacks a monitor at most.
 */
static int settle_creation(void *data, const char *file)
{
	const char *name = file + strlen(CREATING), *wanted = data;
	unsigned int domid;
	int fd, rc;

	if (wanted && strcmp(wanted, name) != 0)
		return DONE;
	fd = run_file_take(file, false);
	if (fd < 0)
		return !wanted || errno != EWOULDBLOCK ? DONE :
		       fail("%s: is being created by another process", name);
	rc = domain_find(name, &domid);
	if (!rc && domid != NO_DOMAIN) {
		fail("%s: its creation was interrupted; %s", name,
		     domain_is_paused(domid) ? "ending what there is of it" :
					       "it runs");
		rc = domain_is_paused(domid) ?
		     domain_act(DOMAIN_DESTROY, domid, name) :
		     monitor_adopt(domid, name);
	}
	if (rc)
		close(fd);
	else
		run_file_drop(fd);
	return rc;
}

int settle_creations(const char *name)
{
	return run_files(CREATING, settle_creation, (void *)name);
}

static int create(struct session *s, const char *json, const char *name,
		  bool paused, unsigned int *domid_out)
{
	int rc;

	rc = domain_create(s, json, domid_out);
	if (rc)
		return rc;
	rc = monitor_start(*domid_out);
	if (!rc && !paused)
		rc = domain_act(DOMAIN_UNPAUSE, *domid_out, name);
	if (rc && domain_act(DOMAIN_DESTROY, *domid_out, name))
		fail("%s: not destroyed: run `xl destroy %u`", name,
		     *domid_out);
	return rc;
}

int domain_start(struct session *s, const char *json, const char *name,
		 bool paused, unsigned int *domid_out)
{
	char file[RUN_PATH_MAX];
	int fd, rc;

	file_name(name, file);
	fd = run_file_take(file, true);
	if (fd < 0)
		return errno == EWOULDBLOCK ?
		       fail("%s: is being created by another process", name) :
		       fail(XLRBD_RUN_DIR "/%s: %m", file);
	rc = create(s, json, name, paused, domid_out);
	run_file_drop(fd);
	return rc;
}

static int tell(struct session *s, const char *name, unsigned int domid,
		const char *how)
{
	if (s->json)
		return print_row(s, json_pack("{s:s s:i}", "domain", name,
					      "domid", (int)domid));
	printf("%s: %s %u\n", name, how, domid);
	return DONE;
}

static int start(struct session *s, const char *name, const char *json)
{
	unsigned int domid;
	int rc;

	rc = domain_start(s, json, name, s->given & OPT_PAUSED, &domid);
	if (!rc)
		rc = tell(s, name, domid, "domain");
	if (rc)
		return rc;
	fflush(stdout);
	return s->given & OPT_CONSOLE ?
	       domain_act(DOMAIN_CONSOLE, domid, name) : DONE;
}

int cmd_create(struct session *s, int argc, char **argv)
{
	char *name = NULL, *json = NULL;
	unsigned int domid;
	int rc;

	(void)argc;
	rc = load(s, argv[0], &name, &json);
	if (!rc)
		rc = settle_migrations(s, name);
	if (!rc)
		rc = settle_creations(name);
	if (!rc)
		rc = domain_find(name, &domid);
	if (!rc && domid != NO_DOMAIN) {
		rc = tell(s, name, domid, "runs here already, as domain");
		if (!rc)
			rc = monitor_adopt(domid, name);
	} else if (!rc) {
		rc = check_nowhere_else(s, name);
		if (!rc)
			rc = start(s, name, json);
	}
	free(name);
	free(json);
	return rc;
}
