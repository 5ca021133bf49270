"""Keys of st.session_state that several modules share. Those of widgets are also query parameters: links need them."""

# chosen in the sidebar, and bound to the URL
CHECKPOINT = "checkpoint"
SUBJECT = "subject"
SLICE = "slice"
DIFFICULTY = "difficulty"
# shared by the pages that evaluate a checkpoint, and bound to the URL
POPULATION = "population"
# in the URL only
DIGEST = "digest"  # of the checkpoint, its first 8 hex digits
# kept for the session
SELECTED = "chosen"  # what app.py hands to the page: checkpoint and subject
LINKED = "linked"  # name and digest of the checkpoint of a link that is another one here; None for all other links
WAITING = "waiting"  # whether files are to come: a sample stands in for them
OWN_CHECKPOINTS = "own-checkpoints"  # uploaded ones, by name
PRIVATE = "private"  # whether the user has brought files: results then stay in this session
