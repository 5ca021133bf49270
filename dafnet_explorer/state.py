"""Keys of st.session_state shared by several modules. Widget keys are also query parameters of links."""

# selected in the sidebar, and bound to the URL
CHECKPOINT = "checkpoint"
SUBJECT = "subject"
SLICE = "slice"
DIFFICULTY = "difficulty"
# shared by the pages that evaluate a checkpoint, and bound to the URL
POPULATION = "population"
# in the URL only
DIGEST = "digest"  # first 8 hex digits of the checkpoint's digest
# kept for the session
SELECTED = "chosen"  # checkpoint and subject, passed by app.py to the page
LINKED = "linked"  # name and digest of a link's checkpoint if it differs from the file of this name; else None
WAITING = "waiting"  # whether a sample is shown until files are uploaded
OWN_CHECKPOINTS = "own-checkpoints"  # uploaded checkpoints by name
PRIVATE = "private"  # whether the user has uploaded files: results are then cached per session
PREDICTED = "predicted-study"  # what identifies a prediction of the uploaded study, and its ZIP
