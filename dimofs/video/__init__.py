"""DiMoFs on anyone's video (§4, §5): poses, tracks and motion features of the people in it, and a video of them."""
