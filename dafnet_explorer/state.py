"""Keys of st.session_state shared by several modules. Widget keys are also query parameters of links."""

# selected in the sidebar, and bound to the URL
CHECKPOINT = "checkpoint"
SUBJECT = "subject"
SLICE = "slice"
DIFFICULTY = "difficulty"
# shared by the pages that evaluate a checkpoint, and bound to the URL
POPULATION = "population"
# in the URL only
SOURCE = "source"  # name of the data set of the subject, if it is not built-in; also the key of the choice
DIGEST = "digest"  # first 8 hex digits of the checkpoint's digest
# kept for the session
SELECTED = "chosen"  # checkpoint and subject, passed by app.py to the page
LINKED = "linked"  # name and digest of a link's checkpoint if it differs from the file of this name; else None
DATA_SET = "data-set-of-subject"  # spec of the data set of the subject; "" for samples and files of the user
PLACE = "place"  # query parameters of a link that select the subject; {} for what no link can open
LINK_PROBLEM = "link-problem"  # why a link's subject is not shown, and what is shown instead; else None
WAITING = "waiting"  # whether a sample is shown until files are uploaded
OWN_CHECKPOINTS = "own-checkpoints"  # uploaded checkpoints by name
PRIVATE = "private"  # whether the user has uploaded files: results are then cached per session
PREDICTED = "predicted-study"  # what identifies a prediction of the uploaded study, and its ZIP
