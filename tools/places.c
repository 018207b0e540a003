// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Hosts that domains could go to, and how much memory each has left.
 */
#include "config.h"

#include "xlrbd.h"

/* An object's key, as it may be there twice. */
static void take_name(void *data, const char *host, const char *address)
{
	(void)address;
	json_object_set_new(data, host, json_null());
}

int find_places(struct session *s, int argc, char **argv, json_t **places_out)
{
	json_t *names = json_object(), *value, *place;
	const char *name;
	int i, rc = DONE;

	for (i = 0; i < argc; i++)
		take_name(names, argv[i], NULL);
	if (!argc && xlrbd_hosts(s->ctx, take_name, names) < 0)
		rc = fail_ctx(s);
	*places_out = json_array();
	json_object_foreach(names, name, value) {
		/* If one does not answer, which it says, the others may do. */
		if (rc || is_this_host(name) || ask_host(s, name, &place))
			continue;
		set_text(place, "name", name);
		json_array_append_new(*places_out, place);
	}
	if (!rc && !json_object_size(names))
		rc = fail("no other host is known: name one, or see [hosts] in xlrbd.conf(5)");
	else if (!rc && !json_array_size(*places_out))
		rc = fail("nothing moved: there is no other host that could take a domain");
	json_decref(names);
	return rc;
}

int roomiest_place(const json_t *places, const bool *tried)
{
	const json_t *place;
	int64_t most = 0;
	int best = -1;
	size_t i;

	json_array_foreach(places, i, place)
		if (!tried[i] &&
		    (best < 0 || number_of(place, "free_kb") > most)) {
			best = i;
			most = number_of(place, "free_kb");
		}
	return best;
}

/* In place: others may be looking at what else is in @place. */
void book_memory(json_t *place, int64_t kb)
{
	json_integer_set(json_object_get(place, "free_kb"),
			 number_of(place, "free_kb") - kb);
}
